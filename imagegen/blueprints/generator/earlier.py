"""What is there already of what is being asked for: an offer to use it, and similar pictures to look at."""

from __future__ import annotations

from flask_babel import gettext, ngettext
from werkzeug.datastructures import MultiDict

from imagegen.blueprints.generator import forms
from imagegen.core.errors import StudioError
from imagegen.core.money import Micro
from imagegen.extensions import db
from imagegen.services import budgets, generation, similar_prompts
from imagegen.services.generation import GenerationRequest, Plan
from imagegen.services.rights import Right
from imagegen.web import contexts
from imagegen.web.auth import identity
from imagegen.web.contexts import Context


def context(form: MultiDict[str, str]) -> Context:
    """Return what the organisation has for `form`: `reuse`, an offer or None, and `similar` pictures."""
    try:
        wanted = forms.read(form)
        offer = _offer(generation.plan(wanted), wanted)
    except (ValueError, StudioError):  # what cannot be asked for is told elsewhere
        offer = None
    rows = similar_prompts.find(form.get("prompt", ""), also_the_same=offer is None)
    return {"reuse": offer, "similar": [contexts.image(row) for row in rows]}


def _offer(plan: Plan, wanted: GenerationRequest) -> Context | None:
    """Return the offer of pictures that are there; None without any, or without the money for the others."""
    who = identity()
    found = generation.find_earlier(db.session(), organisation_id=who.organisation.id, request=wanted, plan=plan)
    new = found.count(None)
    there = len(found) - new
    if not there or not who.may(Right.CREATE):
        return None
    have = ngettext("You have %(num)s of these already:", "You have %(num)s of these already:", there)
    if not new:
        return {"have": have, "use": ngettext("use it (free)", "use them (free)", there), "new": 0}
    rest = plan.estimate_beside(found)
    told = budgets.verdict(organisation_id=who.organisation.id, user_id=who.user.id, estimate=rest)
    if told is not None and told.refusal is not None:
        return None
    use = ngettext("use it", "use them", there)
    more = ngettext("and make %(num)s new (%(price)s)", "and make %(num)s new (%(price)s)", new, price=about(rest))
    return {"have": have, "use": f"{use} {more}", "new": new}


def about(estimate: Micro | None) -> str:
    """Return what something may cost, in words."""
    if estimate is None:
        return gettext("price unknown")
    return f"≈ {contexts.price(estimate)}" if estimate else gettext("free")
