SELECT CASE WHEN "odd ""name""" IS NULL THEN false WHEN "odd ""name""" !~ '^([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity)$' THEN true ELSE CASE WHEN "odd ""name""" IN ('NaN', 'Infinity', '-Infinity') THEN false
		WHEN "odd ""name""" ~ '[eE][+-]?[0-9]{4,}$' THEN true
		WHEN "odd ""name"""::numeric <> 0 AND abs("odd ""name"""::numeric) NOT BETWEEN 1e-307 AND 1.7e308 THEN true
		ELSE length(ltrim(regexp_replace(split_part(lower("odd ""name"""), 'e', 1), '[^0-9]', '', 'g'), '0')) > 15 AND "odd ""name"""::float8::text <> "odd ""name""" END END;
