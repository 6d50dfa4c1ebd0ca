"""Administration: an organisation's people, settings and log; the installation's organisations and operators."""
