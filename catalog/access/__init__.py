"""The API of those who administer: recipients, applications, tokens, grants, suspensions. It does what commands do."""
