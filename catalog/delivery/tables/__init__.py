"""库表: products kept up to date in tables of recipients' own databases, as the grant allows at that moment.

Rows and the position that says which version they are change in one transaction of the recipient's database, so a run
may be killed anywhere. Belongs here: what is sent and how it is proved. Does not belong here: who may have what
(catalog.policy), views and change sets (catalog.delivery).
"""
