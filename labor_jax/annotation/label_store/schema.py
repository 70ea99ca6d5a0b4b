"""The tables of a label store's file, and the statements that update files of older versions."""

VERSION = 4
"""The schema's version, kept in the file."""

# Version 3 added these tables: what people need in order to answer, and what they do.
_LABELLING_TABLES = (
    # Leaves out the masks, for statements that read all queries of a round.
    "CREATE INDEX queries_of_round ON queries (round, image, pixels)",
    # Who is working on an item. `opinion` 2 is the second annotator's. expires: seconds since 1970.
    """CREATE TABLE leases (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        token TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (round, image, opinion),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    ) WITHOUT ROWID""",
    # Everything that annotators did, in order; rows are only ever added.
    # time: seconds since 1970.
    # content, deflated: for a mark, the runs of asked pixels; for an import, the labels.
    # seconds: the annotator's active time since the previous event.
    # request: the client's unique name for the event, so that a repeated request has no effect.
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        label INTEGER,
        content BLOB,
        seconds REAL NOT NULL,
        request TEXT UNIQUE,
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    )""",
    "CREATE INDEX events_of_item ON events (round, image, opinion, id)",
    # The state of each item after its events.
    # annotator, kind: those of the last event. remaining: asked pixels without a label.
    # submitted: id of the last submit or import.
    """CREATE TABLE items (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        kind TEXT NOT NULL,
        remaining INTEGER NOT NULL,
        seconds REAL NOT NULL,
        submitted INTEGER,
        PRIMARY KEY (round, image, opinion),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    ) WITHOUT ROWID""",
)

TABLES = (
    """CREATE TABLE round_images (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (round, image)
    ) WITHOUT ROWID""",
    # clicks: how many clicks answer the query.
    # mask: the query's bits in raster order (numpy.packbits), deflated.
    # kind: how it is answered (cost.Kind).
    # guess: the model's labels, stored as in `answers`.
    # parts: which part of the query each asked pixel is of, two bytes each (little-endian) in
    # raster order, deflated; NULL where the parts are the picks or the connected pieces.
    """CREATE TABLE queries (
        image TEXT NOT NULL,
        round INTEGER NOT NULL,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        pixels INTEGER NOT NULL,
        clicks INTEGER NOT NULL,
        mask BLOB NOT NULL,
        kind TEXT NOT NULL DEFAULT 'mask',
        guess BLOB,
        parts BLOB,
        PRIMARY KEY (image, round),
        FOREIGN KEY (round, image) REFERENCES round_images (round, image)
    )""",
    # labels: one byte per asked pixel in raster order, deflated. Other pixels can't be stored.
    # candidates: a bit for each part and class, part by part (numpy.packbits), deflated: the
    # classes that the part holds. NULL unless all classes of a part were asked.
    """CREATE TABLE answers (
        image TEXT NOT NULL,
        round INTEGER NOT NULL,
        void_pixels INTEGER NOT NULL,
        labels BLOB NOT NULL,
        candidates BLOB,
        PRIMARY KEY (image, round),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    )""",
    *_LABELLING_TABLES,
)
"""The statements that create a new file's tables."""

MIGRATIONS = {
    2: (
        "ALTER TABLE queries ADD COLUMN kind TEXT NOT NULL DEFAULT 'mask'",
        "ALTER TABLE queries ADD COLUMN guess BLOB",
        *_LABELLING_TABLES,
    ),
    3: (
        "ALTER TABLE queries ADD COLUMN parts BLOB",
        "ALTER TABLE answers ADD COLUMN candidates BLOB",
    ),
}
"""The statements that update a file to the next version, by its version."""
