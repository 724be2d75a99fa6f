// json.h - reads JSON, and nothing that is almost JSON.
#ifndef JSON_H
#define JSON_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// A value; of an array or object its members are linked, each with its name.
struct json {
    char type;            // { [ " 0 (a number) t f n
    char *name, *text;    // of strings: as they were written
    double number;
    struct json *first, *next;
};

static inline void json_free(struct json *j) {
    while (j != NULL) {
        struct json *next = j->next;
        json_free(j->first);
        free(j->name);
        free(j->text);
        free(j);
        j = next;
    }
}

static inline void json_blanks(const char **s) {
    while (**s == ' ' || **s == '\n') ++*s;
}

// The text between two quotes; NULL: it has a control character, a wrong escape, or no end.
static inline char *json_string(const char **s) {
    const char *from = *s + 1, *at = from;
    if (**s != '"') return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 32) return NULL;
        if (*at != '\\') continue;
        if (*++at == 'u') {
            if (strspn(at + 1, "0123456789abcdefABCDEF") < 4) return NULL;
        } else if (*at == 0 || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    char *text = calloc(1, (size_t)(at - from) + 1);
    memcpy(text, from, (size_t)(at - from));
    *s = at + 1;
    return text;
}

static inline struct json *json_value(const char **s);

// Members up to the closing bracket. False: they are not well formed.
static inline bool json_members(const char **s, struct json *whole) {
    struct json **end = &whole->first;
    char last = whole->type == '{' ? '}' : ']';
    ++*s;
    json_blanks(s);
    while (**s != last) {
        char *name = NULL;
        if (whole->first != NULL && *(*s)++ != ',') return false;
        json_blanks(s);
        if (whole->type == '{') {
            if ((name = json_string(s)) == NULL) return false;
            json_blanks(s);
        }
        if (name != NULL && *(*s)++ != ':') return free(name), false;
        struct json *j = json_value(s);
        if (j == NULL) return free(name), false;
        j->name = name;
        *end = j;
        end = &j->next;
        json_blanks(s);
    }
    ++*s;
    return true;
}

static inline struct json *json_value(const char **s) {
    struct json *j = calloc(1, sizeof *j);
    bool good = true;
    json_blanks(s);
    j->type = **s;
    if (**s == '{' || **s == '[') {
        good = json_members(s, j);
    } else if (**s == '"') {
        good = (j->text = json_string(s)) != NULL;
    } else if (strncmp(*s, "true", 4) == 0 || strncmp(*s, "null", 4) == 0) {
        *s += 4;
    } else if (strncmp(*s, "false", 5) == 0) {
        *s += 5;
    } else {
        char *end;
        j->type = '0';
        j->number = strtod(*s, &end);
        good = end != *s && strchr("-0123456789", **s) != NULL && isfinite(j->number);
        *s = end;
    }
    if (good) return j;
    json_free(j);
    return NULL;
}

// NULL: it is no JSON, or more than one value.
static inline struct json *json_read(const char *s) {
    struct json *j = json_value(&s);
    json_blanks(&s);
    if (j != NULL && *s != 0) json_free(j), j = NULL;
    return j;
}

static inline struct json *json_get(struct json *j, const char *name) {
    for (j = j != NULL ? j->first : NULL; j != NULL; j = j->next)
        if (j->name != NULL && strcmp(j->name, name) == 0) return j;
    return NULL;
}

static inline const char *json_text(struct json *j, const char *name) {
    struct json *v = json_get(j, name);
    return v != NULL && v->type == '"' ? v->text : "";
}

static inline double json_number(struct json *j, const char *name) {
    struct json *v = json_get(j, name);
    return v != NULL && v->type == '0' ? v->number : NAN;
}

#endif
