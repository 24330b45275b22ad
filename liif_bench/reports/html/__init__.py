"""The report: runs as one HTML file that opens from disk and asks for nothing from elsewhere."""
