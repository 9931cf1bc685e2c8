"""The demo city: a real database server holding a generated, deliberately dirty department, and the truth behind it.

It imports nothing of the engine it tests, else its truth would be circular. Only tests and the command line start it.
"""

from simulator.city import MOST_PERSONS, DemoCity, OtherCity
from simulator.daily import NotPopulated
from simulator.day import DaySummary
from simulator.dirt import DirtRates, Planted
from simulator.disturbances import Fault, PlantedFault
from simulator.faults import NoSuchColumn
from simulator.server import ServerError

__all__ = [
    "MOST_PERSONS",
    "DaySummary",
    "DemoCity",
    "DirtRates",
    "Fault",
    "NoSuchColumn",
    "NotPopulated",
    "OtherCity",
    "Planted",
    "PlantedFault",
    "ServerError",
]
