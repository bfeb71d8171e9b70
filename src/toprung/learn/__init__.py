"""Training of one trial: a configuration in, reports out."""
