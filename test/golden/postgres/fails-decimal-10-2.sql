SELECT CASE WHEN "odd ""name""" IS NULL THEN false WHEN "odd ""name""" !~ '^[+-]?([0-9]+([.][0-9]{0,2}0*)?|[.][0-9]{1,2}0*)$' THEN true ELSE abs("odd ""name"""::numeric) >= 100000000::numeric END;
