// The form works without this. A browser keeps the moment of a link (#t=12.5) to itself: it goes along here.

const form = document.getElementById("sign-in");
if (location.hash && !form.elements.next.value.includes("#")) form.elements.next.value += location.hash;
form.elements.token.focus();
