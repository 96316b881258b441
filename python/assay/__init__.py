"""What assay does in Python: reading what only Python's libraries read well."""
