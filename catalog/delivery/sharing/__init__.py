"""A Delta Sharing server: what the protocol's clients list and read. A share is a channel, a schema is a library."""
