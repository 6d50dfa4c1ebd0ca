"""The mark that says how a picture was made: an XMP packet with IPTC's `DigitalSourceType`.

Sources: IPTC Photo Metadata Standard 2025.1 (names of the fields), newscodes digitalsourcetype (values),
XMP specification part 1 (packet).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from xml.sax.saxutils import escape

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_ILLEGAL_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_TEXT = 4_000


class DigitalSourceType(StrEnum):
    """How the pixels came about, in IPTC's words."""

    TRAINED_ALGORITHMIC_MEDIA = "trainedAlgorithmicMedia"
    ALGORITHMIC_MEDIA = "algorithmicMedia"
    COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA = "compositeWithTrainedAlgorithmicMedia"

    @property
    def uri(self) -> str:
        """The value as it stands in a file."""
        return _VOCABULARY + self.value


@dataclass(frozen=True)
class Provenance:
    """What is said about a picture's origin. The prompt is said only where somebody asked for it."""

    digital_source_type: DigitalSourceType
    system: str = ""
    version: str = ""
    prompt: str = ""

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Provenance:
        """Return it from JSON; ValueError for a source type that IPTC does not know."""
        known = {name: str(params[name]) for name in ("system", "version", "prompt") if params.get(name)}
        return cls(DigitalSourceType(params["digital_source_type"]), **known)


def packet(provenance: Provenance) -> bytes:
    """Return the XMP packet (UTF-8) for `provenance`."""
    fields = {
        "Iptc4xmpExt:DigitalSourceType": provenance.digital_source_type.uri,
        "Iptc4xmpExt:AISystemUsed": provenance.system,
        "Iptc4xmpExt:AISystemVersionUsed": provenance.version,
        "Iptc4xmpExt:AIPromptInformation": provenance.prompt,
        "xmp:CreatorTool": "Imagegen Studio",
    }
    lines = "\n".join(f"   <{name}>{_text(value)}</{name}>" for name, value in fields.items() if value)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
{lines}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def _text(value: str) -> str:
    """Return `value` as XML text: short enough for a JPEG segment, without what XML cannot hold."""
    return escape(_ILLEGAL_IN_XML.sub("", value[:_LONGEST_TEXT]))
