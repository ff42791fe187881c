"""Two applicants' and one department's day, through the gateway of the running city."""

import httpx

from tulou_city.demo_credit import CreditDay
from tulou_city.demo_day import Day
from tulou_city.layout import City


def demo(city: City) -> None:
    """Plays both chapters. Raises SystemExit with the answer when a request is refused, or when no city answers."""
    try:
        for chapter in (Day, CreditDay):
            with chapter(city) as day:
                day.play()
    except httpx.TransportError as error:
        raise SystemExit(f"{city.url} does not answer ({error}); make up starts the city.") from None
