"""Django's own views, but for what the form asks."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from accounts.forms import NameForm

sign_in = LoginView.as_view(
    authentication_form=NameForm,
    template_name="accounts/sign_in.html",
    redirect_authenticated_user=True,
)

urlpatterns = [
    path("sign-in/", sign_in, name="login"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
]
