/**
 * Codes, statuses and texts of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList and
 * of STS's AssumeRole page.
 */
const ERRORS = {
	AccessDenied: [403, "Access Denied"],
	AuthorizationHeaderMalformed: [400, "The authorization header that you provided is not valid."],
	AuthorizationQueryParametersError: [400, "The query string authorization is not valid."],
	BadDigest: [400, "The Content-MD5 or checksum value that you specified did not match what the server received."],
	BucketAlreadyOwnedByYou: [409, "The bucket that you tried to create already exists, and you own it."],
	BucketNotEmpty: [409, "The bucket that you tried to delete is not empty."],
	ConditionalRequestConflict: [409, "A conflicting operation occurred during the request to this resource."],
	EntityTooLarge: [400, "Your proposed upload exceeds the maximum allowed object size."],
	EntityTooSmall: [400, "Your proposed upload is smaller than the minimum allowed size"],
	ExpiredToken: [400, "The provided token has expired."],
	IncompleteBody: [400, "You did not provide the number of bytes specified by the Content-Length HTTP header."],
	InternalError: [500, "We encountered an internal error. Please try again."],
	InvalidAccessKeyId: [403, "The AWS Access Key Id you provided does not exist in our records."],
	InvalidArgument: [400, "Invalid Argument"],
	InvalidBucketName: [400, "The specified bucket is not valid."],
	InvalidChunkSizeError: [403, "Only the last chunk is allowed to have a size less than 8192 bytes"],
	InvalidDigest: [400, "The Content-MD5 you specified was invalid."],
	InvalidPart: [
		400,
		"One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
	],
	InvalidPartOrder: [400, "The list of parts was not in ascending order. Parts must be ordered by part number."],
	InvalidRange: [416, "The requested range is not satisfiable"],
	InvalidRequest: [400, "Invalid Request"],
	InvalidToken: [400, "The provided token is malformed or otherwise not valid."],
	InvalidURI: [400, "Couldn't parse the specified URI."],
	KeyTooLongError: [400, "Your key is too long"],
	"KMS.NotFoundException": [400, "The specified KMS key does not exist."],
	MalformedTrailerError: [400, "The request contained trailing data that was not well-formed."],
	MalformedXML: [400, "The XML you provided was not well-formed or did not validate against our published schema"],
	MetadataTooLarge: [400, "Your metadata headers exceed the maximum allowed metadata size"],
	MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
	MissingContentLength: [411, "You must provide the Content-Length HTTP header."],
	MissingSecurityHeader: [400, "Your request was missing a required header"],
	NoSuchBucket: [404, "The specified bucket does not exist"],
	NoSuchBucketPolicy: [404, "The bucket policy does not exist"],
	NoSuchKey: [404, "The specified key does not exist."],
	NoSuchUpload: [
		404,
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
	],
	NoSuchVersion: [404, "The specified version does not exist."],
	NotImplemented: [501, "A header you provided implies functionality that is not implemented"],
	PreconditionFailed: [412, "At least one of the pre-conditions you specified did not hold"],
	RequestTimeTooSkewed: [403, "The difference between the request time and the current time is too large."],
	RequestTimeout: [
		400,
		"Your socket connection to the server was not read from or written to within the timeout period.",
	],
	ServiceUnavailable: [503, "Service is unable to handle request."],
	SignatureDoesNotMatch: [
		403,
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.",
	],
	SlowDown: [503, "Please reduce your request rate."],
	ValidationError: [400, "The request is not valid."],
	XAmzContentSHA256Mismatch: [400, "The provided 'x-amz-content-sha256' header does not match what was computed."],
} as const satisfies Record<string, readonly [number, string]>;

export type S3ErrorCode = keyof typeof ERRORS;

/** An answer that S3 gives as an error. */
export class S3Error extends Error {
	readonly code: S3ErrorCode;
	readonly status: number;
	/** More elements of the error document. */
	readonly elements: Readonly<Record<string, string>>;

	constructor(code: S3ErrorCode, message?: string, elements: Readonly<Record<string, string>> = {}) {
		super(message ?? ERRORS[code][1]);
		this.code = code;
		this.status = ERRORS[code][0];
		this.elements = elements;
	}
}
