SELECT CASE WHEN "odd ""name""" IS NULL THEN false WHEN "odd ""name""" !~ '^(true|false)$' THEN true ELSE false END;
