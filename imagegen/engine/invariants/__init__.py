"""What must hold whatever happens, asked of the database and the files; nothing here writes."""

from imagegen.engine.invariants.checking import INVARIANTS, check
from imagegen.engine.invariants.rule import Broken, Invariant

__all__ = ["INVARIANTS", "Broken", "Invariant", "check"]
