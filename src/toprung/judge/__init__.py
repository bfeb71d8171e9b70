"""What the reports and predictions say: ranking, baselines, ensembles, report."""
