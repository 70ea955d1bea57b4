"""Where labels, jobs and large files are stored, and how stored labels are searched."""
