"""The provider that draws by itself, with no network and no key."""
