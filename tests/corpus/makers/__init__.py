"""One module for each family of formats; every function returns {file name: (bytes, message or None)}."""
