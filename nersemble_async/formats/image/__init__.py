"""Pictures: PNG and JPEG."""
