SELECT CASE WHEN "odd ""name""" IS NULL THEN false WHEN "odd ""name""" !~ '^[+-]?[0-9]+([.]0*)?$' THEN true ELSE "odd ""name"""::numeric NOT BETWEEN -2147483648 AND 2147483647 END;
