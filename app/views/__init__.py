"""One file per page, and the parts of pages."""
