"""Issues that people raise, and their deadlines."""
