"""`python -m bench.peers.django_identity USERS`: make tables and users, print a pair of tokens for each as JSON."""

import json
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.django_identity.settings"

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402  # Only after setup.
from django.core.management import call_command  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402

call_command("migrate", verbosity=0)
pairs = []
for number in range(int(sys.argv[1])):
    user = User.objects.create(username=f"user{number}", email=f"user{number}@example.org", password="!")
    refresh = RefreshToken.for_user(user)
    pairs.append({"refresh": str(refresh), "access": str(refresh.access_token)})
print(json.dumps(pairs))
