SELECT CASE WHEN "odd ""name""" IS NULL THEN false WHEN "odd ""name""" !~ '^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$' THEN true ELSE false END;
