"""Where labels, jobs and large files are stored, and how stored labels are searched."""

__all__: list[str] = []
