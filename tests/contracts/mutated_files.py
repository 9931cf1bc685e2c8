"""The files of the small city in which mistakes are made, and what a mistake is.

A mutation: file, old text, new text, a text on the line that must be named, words in Chinese, words in English.
"""

Mutation = tuple[str, str, str, str, str, str]

CITY, FIELDS = "city.yaml", "fields.yaml"
SOURCE, PERSON, COUNT = "sources/psb/person.yaml", "products/population/person.yaml", "products/population/count.yaml"
SEX = "codes/sex.csv"
