"""Small real files, and a job folder without a worker, for the tests of intake."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from docx import Document

from learners.records import read_records
from monitors.intake import intake
from monitors.intake_job import Quarantined


class Job:
    """A worker's job folder, without the worker."""

    def __init__(self, folder):
        self.output = folder / "output"
        self.said = []

    def progress(self, done, total, message):
        self.said.append((done, total, message))

    def check_stop(self):
        pass


class Read:
    """Runs intake over files and holds what came out."""

    def __init__(self, folder: Path, *files: Path, **limits):
        self.job = Job(folder)
        spec = {"source": "inbox", "files": [str(file) for file in files], **limits}
        self.result = intake(spec, self.job)
        self.records = list(read_records(self.job.output / "records.jsonl"))
        lines = (self.job.output / "quarantine.jsonl").read_text().splitlines()
        self.quarantine = [Quarantined.model_validate_json(line) for line in lines]
        assert sum(file.kept for file in self.result.files) == len(self.records) == sum(self.result.kinds.values())
        assert sum(file.quarantined for file in self.result.files) == len(self.quarantine)

    @property
    def counts(self):
        return [(file.read, file.kept, file.duplicate, file.quarantined) for file in self.result.files]

    @property
    def reasons(self):
        return [item.reason for item in self.quarantine]


def docx(*paragraphs, headings=()):
    document = Document()
    for heading in headings:
        document.add_heading(heading, level=1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(text):
    """The smallest PDF with one line of text."""
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(bodies) + 1, table) + trailer


def parquet(rows):
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()
