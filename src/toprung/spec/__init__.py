"""YAML to checked values, all problems at once."""
