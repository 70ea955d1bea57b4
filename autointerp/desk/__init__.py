"""What is decided about jobs without doing any of their work: nothing here needs torch."""

from autointerp.desk.advance import Send, advance, advance_collection, reconcile
from autointerp.desk.desk import Desk
from autointerp.desk.naming import new_id
from autointerp.desk.parking import Parking
from autointerp.desk.plan import CHUNK, JobPlan, PlannedHook
from autointerp.desk.rules import DeskRules
from autointerp.desk.tidying import tidy

__all__ = [
    "CHUNK",
    "Desk",
    "DeskRules",
    "JobPlan",
    "Parking",
    "PlannedHook",
    "Send",
    "advance",
    "advance_collection",
    "new_id",
    "reconcile",
    "tidy",
]
