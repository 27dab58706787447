"""All parts of the comparison, by name."""
import raw

PARTS = {p.name: p for p in (raw.Http1, raw.Responses, raw.Upgrades)}
