"""Where what is delivered is described: the addresses of its dictionary and of its licence, which travel with the data.

Belongs here: the addresses and the header that tells them. Does not belong here: the dictionary itself (`dictionary`).
"""

from collections.abc import Mapping

from pipelines.contracts.resolved import Product


def addresses(url: str, product: Product) -> dict[str, str]:
    """By relation of RFC 8288: the dictionary, and the licence if there is one. Anybody may read both."""
    page = f"{url}/datasets/{product.id}"
    licence = {"license": f"{page}#licence"} if product.form.licence else {}
    return {**licence, "describedby": f"{page}/dictionary.csv"}


def link(links: Mapping[str, str]) -> dict[str, str]:
    """The Link header of RFC 8288, nothing for no links."""
    return {"Link": ", ".join(f'<{url}>; rel="{relation}"' for relation, url in links.items())} if links else {}
