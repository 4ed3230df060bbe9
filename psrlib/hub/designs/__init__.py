"""What users design: pipelines, their commits, labels, archives."""
