"""Every route, and who may call it: what people are promised, written down beside the code and not taken from it."""

from __future__ import annotations

from dataclasses import dataclass, field

ROLES = ("owner", "admin", "editor", "approver", "viewer")

MAY: dict[str, frozenset[str]] = {
    "anybody": frozenset({*ROLES, "nobody"}),
    "person": frozenset(ROLES),
    "view": frozenset(ROLES),
    "create": frozenset({"owner", "admin", "editor"}),
    "organise": frozenset({"owner", "admin", "editor"}),
    "manage": frozenset({"owner", "admin"}),
    "operate": frozenset(),
}
"""Which roles may do what; operators are asked for beside it."""

SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({"view"}),
    "write": frozenset({"view", "create", "organise"}),
    "admin": frozenset({"view", "create", "organise", "manage"}),
}
"""What a token of an owner may do."""

GONE = "gone"
"""Nobody gets an answer: the set-up is over, or the secret is none."""


class Names(dict[str, str]):
    """Names of things for `Call.path`; what is not among them gets the name of nothing that there is."""

    def __missing__(self, key: str) -> str:
        return "01890000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Call:
    """How a route is called, and what it takes. In `path` and `form`, `{name}` is a thing of Ann's organisation."""

    needs: str
    path: str
    form: dict[str, str] = field(default_factory=dict)
    json: dict[str, object] | None = None
    file: bytes | None = None
    """What is sent as the field `file`."""
    mine: bool = False
    """The thing is Ann's own: a colleague gets nothing, whatever their role."""

    @property
    def about_a_thing(self) -> bool:
        """Whether the call names something that belongs to an organisation or a person."""
        if self.needs == "operate":
            return False  # the installation's things are every operator's
        return "{" in self.path or any("{" in value for value in self.form.values())


CUT_PICTURE = b"\x89PNG\r\n\x1a\n"
"""It is taken as far as it goes, and then found to be incomplete (422)."""

CALLS: dict[str, Call] = {
    "static": Call("anybody", "/static/any/css/base.css"),
    "health.healthz": Call("anybody", "/healthz"),
    "health.readyz": Call("anybody", "/readyz"),
    "setup.page": Call(GONE, "/setup"),
    "setup.set_up": Call(GONE, "/setup"),
    # One's own account
    "accounts.sign_in": Call("anybody", "/sign-in"),
    "accounts.sign_in_now": Call("anybody", "/sign-in", {"email": "ann@one.example", "password": "wrong"}),
    "accounts.forgot_password": Call("anybody", "/forgot-password"),
    "accounts.ask_for_reset": Call("anybody", "/forgot-password", {"email": "ann@one.example"}),
    "accounts.choose_password": Call(GONE, "/reset-password/guessed"),
    "accounts.reset_password": Call(GONE, "/reset-password/guessed", {"password": "another long password"}),
    "accounts.invitation": Call(GONE, "/invitation/guessed"),
    "accounts.accept_invitation": Call(GONE, "/invitation/guessed", {"name": "x", "password": "one more password"}),
    "accounts.settings": Call("person", "/settings"),
    "accounts.profile": Call("person", "/settings/profile"),
    "accounts.change_profile": Call("person", "/settings/profile", {"name": "New", "theme": "dark"}),
    "accounts.password": Call("person", "/settings/password"),
    "accounts.change_password": Call("person", "/settings/password", {"current": "wrong", "password": "wrong"}),
    "accounts.sessions": Call("person", "/settings/sessions"),
    "accounts.end_session": Call("person", "/settings/sessions/{session}/end", mine=True),
    "accounts.end_other_sessions": Call("person", "/settings/sessions/end-others"),
    "accounts.tokens": Call("person", "/settings/tokens"),
    "accounts.create_token": Call("person", "/settings/tokens", {"name": "mine", "scopes": "read", "days": "30"}),
    "accounts.revoke_token": Call("person", "/settings/tokens/{token}/revoke", mine=True),
    "accounts.switch": Call("person", "/organisation", {"organisation": "{organisation}"}),
    # Create
    "generator.home": Call("view", "/"),
    "generator.page": Call("view", "/generate"),
    "generator.form": Call("view", "/generate/form"),
    "generator.estimate": Call("view", "/generate/estimate"),
    "generator.earlier": Call("view", "/generate/earlier", {"prompt": "violet waves"}),
    "generator.feed": Call("view", "/generate/feed"),
    "generator.create": Call("create", "/generate", {"prompt": "a wave", "variants": "1"}),
    # Jobs
    "jobs.index": Call("view", "/jobs"),
    "jobs.stream": Call("view", "/jobs/stream?jobs={job}"),
    "jobs.detail": Call("view", "/jobs/{job}"),
    "jobs.pause": Call("create", "/jobs/{running}/pause"),
    "jobs.resume": Call("create", "/jobs/{running}/resume"),
    "jobs.front": Call("create", "/jobs/{running}/front"),
    "jobs.again": Call("create", "/jobs/{job}/again"),
    "jobs.cancel_all": Call("create", "/jobs/all/cancel"),
    "jobs.cancel": Call("create", "/jobs/{running}/cancel"),
    "jobs.delete": Call("create", "/jobs/{ended}/delete"),
    "jobs.retry": Call("create", "/jobs/{failed}/retry"),
    "jobs.resolve": Call("create", "/jobs/{unknown}/shots/{shot}/resolve", {"resolution": "not_billed"}),
    # Library
    "library.index": Call("view", "/library"),
    "library.grid": Call("view", "/library/grid"),
    "library.detail": Call("view", "/library/{image}"),
    "library.newest": Call("view", "/library/newest"),
    "library.count": Call("view", "/library/count"),
    "library.stack": Call("view", "/library/{image}/stack"),
    "library.alike": Call("view", "/library/{image}/alike"),
    "library.download": Call("view", "/library/{image}/download"),
    "library.download_all": Call("view", "/library/download", {"ids": "00000000-0000-7000-8000-000000000000"}),
    "library.star": Call("organise", "/library/{image}/star"),
    "library.write": Call("organise", "/library/{image}/words", {"title": "Dusk"}),
    "library.do": Call("organise", "/library/bulk/star", {"ids": "00000000-0000-7000-8000-000000000000"}),
    "library.ask_to_delete": Call("organise", "/library/delete", {"ids": "00000000-0000-7000-8000-000000000000"}),
    "library.picker": Call("view", "/library/picker"),
    "library.picker_pictures": Call("view", "/library/picker/pictures"),
    "library.picked": Call("view", "/library/picker/{image}"),
    "library.shelves": Call("view", "/library/shelves"),
    "library.choices": Call("view", "/library/choices/lists"),
    "library.save_search": Call("organise", "/library/searches", {"name": "Blue", "colour": "blue"}),
    "library.rename_search": Call("organise", "/library/searches/{search}/rename", {"name": "Sea"}, mine=True),
    "library.delete_search": Call("organise", "/library/searches/{old_search}/delete", mine=True),
    "library.make_collection": Call("organise", "/library/collections", {"name": "Autumn"}),
    "library.rename_collection": Call("organise", "/library/collections/{collection}/rename", {"name": "Sea"}),
    "library.delete_collection": Call("organise", "/library/collections/{third_collection}/delete"),
    "library.rename_tag": Call("organise", "/library/tags/{tag}/rename", {"name": "Sea"}),
    "library.delete_tag": Call("organise", "/library/tags/{third_tag}/delete"),
    "uploads.upload": Call("create", "/library/upload", file=CUT_PICTURE),
    "media.file": Call("view", "/media/{image}/file"),
    "media.rendition": Call("view", "/media/{image}/16.webp"),
    "styleguide.page": Call("view", "/styleguide"),
    # Administration
    "admin.index": Call("manage", "/admin"),
    "admin.people": Call("manage", "/admin/people"),
    "admin.change_role": Call("manage", "/admin/people/{person}/role", {"role": "viewer"}),
    "admin.make_reset_link": Call("manage", "/admin/people/{person}/reset-link"),
    "admin.remove_person": Call("manage", "/admin/people/{person}/remove"),
    "admin.invitations": Call("manage", "/admin/invitations"),
    "admin.invite": Call("manage", "/admin/invitations", {"email": "new@one.example", "role": "viewer"}),
    "admin.renew_invitation": Call("manage", "/admin/invitations/{invitation}/renew"),
    "admin.revoke_invitation": Call("manage", "/admin/invitations/{invitation}/revoke"),
    "admin.organisation": Call("manage", "/admin/organisation"),
    "admin.change_organisation": Call("manage", "/admin/organisation", {"name": "Renamed", "time_zone": "UTC"}),
    "admin.audit": Call("manage", "/admin/audit"),
    "admin.audit_csv": Call("manage", "/admin/audit.csv"),
    "admin.providers": Call("manage", "/admin/providers"),
    "admin.enter_key": Call("manage", "/admin/providers/openai/key", {"key": "sk-of-another-organisation"}),
    "admin.test_key": Call("manage", "/admin/providers/openai/test"),
    "admin.limit_key": Call("manage", "/admin/providers/openai/limits", {"concurrency": "2"}),
    "admin.remove_key": Call("manage", "/admin/providers/openai/key/remove"),
    "admin.add_stand_in": Call("manage", "/admin/providers/stand-ins", {"model": "local:local-studio"}),
    "admin.move_stand_in": Call("manage", "/admin/providers/stand-ins/move", {"model": "local:local-studio"}),
    "admin.remove_stand_in": Call("manage", "/admin/providers/stand-ins/remove", {"model": "local:local-studio"}),
    "admin.installation_providers": Call("operate", "/admin/installation/providers"),
    "admin.test_installation_key": Call("operate", "/admin/installation/providers/openai/test"),
    "admin.limit_installation_key": Call("operate", "/admin/installation/providers/openai/limits"),
    "admin.installation_audit": Call("operate", "/admin/installation/audit"),
    "admin.installation_audit_csv": Call("operate", "/admin/installation/audit.csv"),
    "admin.cleaning": Call("operate", "/admin/cleaning"),
    "admin.ask_for_cleaning": Call("operate", "/admin/cleaning", {"dry_run": "1"}),
    "admin.organisations": Call("operate", "/admin/organisations"),
    "admin.make_organisation": Call("operate", "/admin/organisations", {"name": "Four", "owner": "new@four.example"}),
    "admin.queue": Call("operate", "/admin/queue"),
    "admin.drain": Call("operate", "/admin/queue/drain", {"worker": "nowhere:1"}),
    "admin.resume": Call("operate", "/admin/queue/resume", {"worker": "nowhere:1"}),
    "admin.try_task_again": Call("operate", "/admin/queue/tasks/retry", {"task": "none"}),
    "admin.forget_task": Call("operate", "/admin/queue/tasks/forget", {"task": "none"}),
    "admin.operators": Call("operate", "/admin/operators"),
    "admin.set_operator": Call("operate", "/admin/operators", {"email": "eve@one.example", "operator": "1"}),
    # Money
    "usage.page": Call("view", "/usage"),
    "usage.export": Call("view", "/usage/usage.csv"),
    "budgets.ask": Call("create", "/budgets/{budget}/ask", {"micro": "1000"}),
    "budgets.page": Call("manage", "/admin/budgets"),
    "budgets.change": Call("manage", "/admin/budgets", {"who": "", "per": "day", "usd": "900", "kind": "soft"}),
    "budgets.set_allowance": Call("manage", "/admin/budgets/allowance", {"pictures": "9000"}),
    "budgets.grant": Call("manage", "/admin/budgets/{budget}/grant", {"usd": "1"}),
    "budgets.decline": Call("manage", "/admin/budgets/{budget}/decline"),
    "budgets.remove": Call("manage", "/admin/budgets/{budget}/remove"),
    "prices.page": Call("operate", "/admin/prices"),
    "prices.edit": Call("operate", "/admin/prices/local/local-studio"),
    "prices.change": Call("operate", "/admin/prices/local/local-studio"),
    "prices.restore": Call("operate", "/admin/prices/local/local-studio/restore"),
    # The API
    "api-docs.page": Call("anybody", "/api/v1/docs"),
    "api-openapi.openapi": Call("anybody", "/api/v1/openapi.json"),
    "api-models.index": Call("view", "/api/v1/models"),
    "api-providers.index": Call("view", "/api/v1/providers"),
    "api-provider-keys.enter": Call(
        "manage", "/api/v1/providers/openai/key", json={"key": "sk-of-another-organisation"}
    ),
    "api-provider-keys.test": Call("manage", "/api/v1/providers/openai/test"),
    "api-provider-keys.limit": Call("manage", "/api/v1/providers/openai/limits", json={"concurrency": 2}),
    "api-provider-keys.remove": Call("manage", "/api/v1/providers/openai/key"),
    "api-provider-keys.list_stand_ins": Call("manage", "/api/v1/providers/stand-ins"),
    "api-provider-keys.replace_stand_ins": Call("manage", "/api/v1/providers/stand-ins", json={"items": []}),
    "api-provider-keys.test_installation": Call("operate", "/api/v1/installation/providers/openai/test"),
    "api-provider-keys.limit_installation": Call(
        "operate", "/api/v1/installation/providers/openai/limits", json={"per_minute": 60}
    ),
    "api-uploads.upload": Call("create", "/api/v1/images/upload", file=CUT_PICTURE),
    "api-images.index": Call("view", "/api/v1/images"),
    "api-images.read": Call("view", "/api/v1/images/{image}"),
    "api-images.change": Call("organise", "/api/v1/images/{image}", json={"title": "Waves"}),
    "api-images.delete": Call("organise", "/api/v1/images/{old_image}"),
    "api-images.restore": Call("organise", "/api/v1/images/{trashed_image}/restore"),
    "api-images.uses": Call("view", "/api/v1/images/{image}/uses"),
    "api-images.near_duplicates": Call("view", "/api/v1/images/{image}/near-duplicates"),
    "api-library.list_tags": Call("view", "/api/v1/tags"),
    "api-library.rename_tag": Call("organise", "/api/v1/tags/{tag}", json={"name": "Sea"}),
    "api-library.delete_tag": Call("organise", "/api/v1/tags/{old_tag}"),
    "api-library.list_collections": Call("view", "/api/v1/collections"),
    "api-library.create_collection": Call("organise", "/api/v1/collections", json={"name": "Best of"}),
    "api-library.read_collection": Call("view", "/api/v1/collections/{collection}"),
    "api-library.rename_collection": Call("organise", "/api/v1/collections/{collection}", json={"name": "Web"}),
    "api-library.delete_collection": Call("organise", "/api/v1/collections/{old_collection}"),
    "api-library.put_in": Call(
        "organise", "/api/v1/collections/{collection}/images", json={"ids": ["0198f2a4-5b6c-7d8e-9f01-23456789abcd"]}
    ),
    "api-library.take_out": Call(
        "organise",
        "/api/v1/collections/{collection}/images/remove",
        json={"ids": ["0198f2a4-5b6c-7d8e-9f01-23456789abcd"]},
    ),
    "api-library.list_searches": Call("view", "/api/v1/searches"),
    "api-library.save_search": Call("organise", "/api/v1/searches", json={"name": "Blue", "search": {}}),
    "api-library.delete_search": Call("organise", "/api/v1/searches/{search}", mine=True),
    "api-images.file": Call("view", "/api/v1/images/{image}/file"),
    "api-images.thumbnail": Call("view", "/api/v1/images/{image}/thumbnail?width=16"),
    "api-generate.sizes": Call("view", "/api/v1/images/generate/sizes"),
    "api-generate.status": Call("view", "/api/v1/images/generate/status/{job}"),
    "api-generate.generate": Call("create", "/api/v1/images/generate", json={"prompt": "a wave"}),
    "api-generate.estimate_cost": Call("view", "/api/v1/images/generate/estimate-cost", json={"prompt": "a wave"}),
    "api-schedules.index": Call("view", "/api/v1/schedules"),
    "api-schedules.create": Call("create", "/api/v1/schedules", json={"name": "without a request"}),
    "api-schedules.read": Call("view", "/api/v1/schedules/{schedule}"),
    "api-schedules.change": Call("create", "/api/v1/schedules/{schedule}", json={"name": "Renamed"}),
    "api-schedules.delete": Call("create", "/api/v1/schedules/{old_schedule}"),
    "api-usage.read": Call("view", "/api/v1/usage"),
    "api-budgets.index": Call("manage", "/api/v1/budgets"),
    "api-budgets.change": Call(
        "manage", "/api/v1/budgets", json={"per": "month", "cap": "900.000000", "hard": False}
    ),
    "api-budgets.remove": Call("manage", "/api/v1/budgets/{old_budget}"),
    "api-budgets.allowance": Call("manage", "/api/v1/budgets/allowance"),
    "api-budgets.set_allowance": Call("manage", "/api/v1/budgets/allowance", json={"pictures": 9000}),
    "api-cleaning.index": Call("operate", "/api/v1/maintenance/clean"),
    "api-cleaning.ask": Call("operate", "/api/v1/maintenance/clean", json={"dry_run": True}),
    "api-cleaning.read": Call("operate", "/api/v1/maintenance/clean/{round}"),
    "api-jobs.index": Call("view", "/api/v1/jobs"),
    "api-jobs.read": Call("view", "/api/v1/jobs/{job}"),
    "api-jobs.pause": Call("create", "/api/v1/jobs/{running}/pause"),
    "api-jobs.resume": Call("create", "/api/v1/jobs/{running}/resume"),
    "api-jobs.front": Call("create", "/api/v1/jobs/{running}/front"),
    "api-jobs.cancel": Call("create", "/api/v1/jobs/{running}/cancel"),
    "api-jobs.retry": Call("create", "/api/v1/jobs/{refused}/retry"),
    "api-jobs.delete": Call("create", "/api/v1/jobs/{forgotten}"),
    "api-jobs.events": Call("view", "/api/v1/jobs/{job}/events"),
    # Last: nobody is signed in any more
    "accounts.sign_out": Call("anybody", "/sign-out"),
}
