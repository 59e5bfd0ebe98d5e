"""What two consecutive versions tell about what was deleted between them."""
