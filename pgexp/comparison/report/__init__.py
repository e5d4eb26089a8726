"""The report of a comparison: one HTML page, its figures and tables, and their way into the sweep's MLflow run."""
