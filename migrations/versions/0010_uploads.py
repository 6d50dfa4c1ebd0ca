"""pictures that people bring"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass  # the columns of pictures have room for them since 0001: kind, original_filename, received_sha256


def downgrade() -> None:
    pass
