"""How data leaves: policy views, downloads, dictionaries and the Delta Sharing server. Decides nothing itself."""
