"""The two paths that are measured."""

from typing import Any

from django.contrib.auth.models import User
from django.urls import path
from rest_framework import generics, permissions, serializers
from rest_framework_simplejwt.views import TokenRefreshView


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "email", "first_name", "last_name", "is_active", "date_joined", "last_login")


class Profile(generics.RetrieveAPIView):
    serializer_class = UserSerializer
    permission_classes = (permissions.IsAuthenticated,)

    def get_object(self) -> Any:
        return self.request.user


urlpatterns = [path("api/token/refresh/", TokenRefreshView.as_view()), path("api/profile/", Profile.as_view())]
