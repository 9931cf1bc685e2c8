"""What may be seen: masks, pseudonyms, anonymity and the search for personal data in values. Decides nothing itself."""
