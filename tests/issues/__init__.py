"""Issues that people raise, and deadlines in working days."""
