"""Mistakes that an author can make in the small city, and what must be said about each."""

from mutated_files import Mutation
from mutations_of_corrections import MUTATIONS as CORRECTIONS
from mutations_of_form import MUTATIONS as FORM
from mutations_of_meaning import MUTATIONS as MEANING

MUTATIONS: dict[str, Mutation] = {**FORM, **MEANING, **CORRECTIONS}
