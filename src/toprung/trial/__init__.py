"""The values that every part speaks: space, configuration, report, decision, journal."""
