"""Purchase100: which of a hundred kinds of customers made these purchases?"""

from __future__ import annotations

from worker.datasets._bit_files import BitFile


class Purchase100(BitFile):
    """What customers bought of 600 items, clustered into 100 kinds of customers; the data of many attacks' papers.

    Made from the data of a contest ("Acquire valued shoppers"). Nothing is known of the customers themselves: the
    class is the attribute.
    """

    name = "purchase100"
    title = "Purchase100"
    summary = "What 197,324 customers bought of 600 items, as bits: to which of 100 kinds of customers does one belong?"
    citation = "Shokri, Stronati, Song and Shmatikov 2017, Membership inference attacks against machine learning models"
    files = ("dataset_purchase", "purchase100.csv")
    bits = 600
    count = 100
    rows = 197_324
    target = "kind of customer"
    licence = "terms of the contest's data; not redistributed"
    origin = "https://github.com/privacytrustlab/datasets"


PLUGIN = Purchase100()
