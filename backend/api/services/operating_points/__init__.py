"""The operating point: from the store to verdicts, the best setting, sentences; what people choose.

work      columns, judged and ranked
answer    which settings meet the limits, which is best, in words
costs     what each limit costs
choices   what somebody chose, with the reason
figure    the picture
"""

from backend.api.services.operating_points.answer import evaluate
from backend.api.services.operating_points.choices import choose, shown
from backend.api.services.operating_points.figure import figure

__all__ = ["choose", "evaluate", "figure", "shown"]
