"""Location30: which of thirty kinds of people were at these places?"""

from __future__ import annotations

from worker.datasets._bit_files import BitFile


class Location30(BitFile):
    """Places that users of Foursquare in Bangkok were at, clustered into 30 kinds of people.

    Nothing is known of the people themselves: the class is the attribute.
    """

    name = "location30"
    title = "Location30"
    summary = (
        "Which of 446 places and regions 5,010 people in Bangkok were at, as bits: "
        "to which of 30 kinds of people does one belong?"
    )
    citation = "Shokri, Stronati, Song and Shmatikov 2017, Membership inference attacks against machine learning models"
    files = ("bangkok", "location30.csv")
    bits = 446
    count = 30
    rows = 5_010
    target = "kind of person"
    licence = "terms of the check-ins' publishers; not redistributed"
    origin = "https://github.com/privacytrustlab/datasets"


PLUGIN = Location30()
