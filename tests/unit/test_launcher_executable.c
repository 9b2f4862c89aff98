// SPDX-License-Identifier: MIT
#include "preload/launcher/executable.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

// A small ELF file with room for each part at a fixed place.
struct image {
	Elf64_Ehdr elf;
	Elf64_Phdr headers[4];
	char interpreter[32];
	struct {
		Elf64_Nhdr header;
		char owner[4];
		char id[8];
	} note;
	Elf64_Dyn dynamic[4];
	char strings[64];
	Elf64_Shdr sections[2];
};

static struct image new_image(void)
{
	struct image image = {0};

	memcpy(image.elf.e_ident, ELFMAG, SELFMAG);
	image.elf.e_ident[EI_CLASS] = ELFCLASS64;
	image.elf.e_ident[EI_DATA] = ELFDATA2LSB;
	image.elf.e_type = ET_DYN;
	image.elf.e_machine = MACHINE;
	image.elf.e_phoff = offsetof(struct image, headers);
	image.elf.e_phentsize = sizeof(Elf64_Phdr);
	return image;
}

static Elf64_Phdr *add_header(struct image *image, unsigned type, size_t offset, size_t size)
{
	Elf64_Phdr *header = &image->headers[image->elf.e_phnum++];

	header->p_type = type;
	header->p_offset = offset;
	header->p_filesz = size;
	return header;
}

static void add_interpreter(struct image *image, const char *name)
{
	strcpy(image->interpreter, name);
	add_header(image, PT_INTERP, offsetof(struct image, interpreter), strlen(name) + 1);
}

// The whole file is loaded at address 0x1000, as if the linker had put it there.
static void add_needed(struct image *image, const char *name)
{
	strcpy(image->strings + 1, name);
	image->dynamic[0] = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = 1};
	image->dynamic[1] = (Elf64_Dyn){
		.d_tag = DT_STRTAB, .d_un.d_ptr = 0x1000 + offsetof(struct image, strings)};
	add_header(image, PT_LOAD, 0, sizeof(*image))->p_vaddr = 0x1000;
	add_header(image, PT_DYNAMIC, offsetof(struct image, dynamic), sizeof(image->dynamic));
}

static struct executable parse(const void *bytes, size_t length)
{
	struct executable executable;
	struct parse_error error;

	cr_assert(executable_parse(bytes, length, &executable, &error), "%s", error.reason);
	return executable;
}

static struct executable parse_image(const struct image *image)
{
	return parse(image, sizeof(*image));
}

static void assert_refused(const void *bytes, size_t length)
{
	struct executable executable;
	struct parse_error error = {0};

	cr_assert_not(executable_parse(bytes, length, &executable, &error));
	cr_assert_neq(error.reason[0], '\0');
}

Test(executable, the_loader_of_a_dynamic_program_is_read)
{
	struct image image = new_image();
	struct executable executable;

	add_interpreter(&image, "/lib64/ld-linux-x86-64.so.2");
	executable = parse_image(&image);
	cr_assert_eq(executable.kind, EXECUTABLE_ELF);
	cr_assert(executable.is_native);
	cr_assert_str_eq(executable.interpreter, "/lib64/ld-linux-x86-64.so.2");
	cr_assert_not(executable.is_go);
	cr_assert_not(executable.uses_io_uring);
}

Test(executable, a_program_without_a_loader_is_static)
{
	struct image image = new_image();

	cr_assert_str_empty(parse_image(&image).interpreter);
}

Test(executable, another_class_byte_order_or_machine_is_not_native)
{
	struct image image = new_image();

	image.elf.e_ident[EI_CLASS] = ELFCLASS32;
	cr_assert_not(parse_image(&image).is_native);
	image = new_image();
	image.elf.e_ident[EI_DATA] = ELFDATA2MSB;
	cr_assert_not(parse_image(&image).is_native);
	image = new_image();
	image.elf.e_machine = EM_RISCV;
	cr_assert_not(parse_image(&image).is_native);
}

static void add_note(struct image *image, const char *owner)
{
	image->note.header = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 4};
	strcpy(image->note.owner, owner);
	add_header(image, PT_NOTE, offsetof(struct image, note), sizeof(image->note));
}

Test(executable, gos_build_id_note_is_seen)
{
	struct image image = new_image();

	add_note(&image, "Go");
	cr_assert(parse_image(&image).is_go);
}

Test(executable, another_owners_note_is_not_gos)
{
	struct image image = new_image();

	add_note(&image, "GNU");
	cr_assert_not(parse_image(&image).is_go);
}

static void add_section(struct image *image, const char *name)
{
	strcpy(image->strings + 1, name);
	image->sections[0].sh_offset = offsetof(struct image, strings);
	image->sections[1].sh_name = 1;
	image->elf.e_shoff = offsetof(struct image, sections);
	image->elf.e_shnum = 2;
	image->elf.e_shentsize = sizeof(Elf64_Shdr);
}

Test(executable, gos_sections_are_seen_by_their_names)
{
	static const struct {
		const char *name;
		bool is_go;
	} cases[] = {{".note.go.buildid", true}, {".gopclntab", true}, {".text", false},
		{".gopclntabs", false}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image image = new_image();

		add_section(&image, cases[i].name);
		cr_expect_eq(parse_image(&image).is_go, cases[i].is_go, "%s", cases[i].name);
	}
}

Test(executable, liburing_among_the_needed_libraries_is_seen)
{
	struct image image = new_image();

	add_needed(&image, "liburing.so.2");
	cr_assert(parse_image(&image).uses_io_uring);
	image = new_image();
	add_needed(&image, "libur.so.2");
	cr_assert_not(parse_image(&image).uses_io_uring);
}

Test(executable, section_headers_that_lead_nowhere_do_not_matter)
{
	struct image image = new_image();

	add_interpreter(&image, "/lib64/ld-linux-x86-64.so.2");
	image.elf.e_shoff = UINT64_MAX - 8;
	image.elf.e_shnum = 4;
	cr_assert_str_eq(parse_image(&image).interpreter, "/lib64/ld-linux-x86-64.so.2");
}

Test(executable, what_the_kernel_needs_must_be_inside_the_file)
{
	struct image image = new_image();

	assert_refused(&image, sizeof(Elf64_Ehdr) - 1);
	add_interpreter(&image, "/lib/ld.so");
	image.headers[0].p_offset = sizeof(image) - 4;
	assert_refused(&image, sizeof(image));
	image.headers[0].p_offset = UINT64_MAX - 4;
	assert_refused(&image, sizeof(image));
	image.headers[0].p_filesz = 0;
	assert_refused(&image, sizeof(image));
	image.elf.e_phoff = sizeof(image);
	assert_refused(&image, sizeof(image));
	image = new_image();
	image.elf.e_phnum = 1;
	image.elf.e_phentsize = 1;
	assert_refused(&image, sizeof(image));
	image = new_image();
	image.elf.e_type = ET_CORE;
	assert_refused(&image, sizeof(image));
}

static struct executable parse_text(const char *text)
{
	return parse(text, strlen(text));
}

Test(executable, scripts_name_their_interpreter_and_one_argument)
{
	static const struct {
		const char *text;
		const char *interpreter;
		const char *argument;
	} cases[] = {
		{"#!/bin/sh\necho\n", "/bin/sh", ""},
		{"#!/bin/sh", "/bin/sh", ""},
		{"#! \t/bin/sh \n", "/bin/sh", ""},
		{"#!/usr/bin/env python3\n", "/usr/bin/env", "python3"},
		{"#!/usr/bin/env -S  python3 -u \t\nx", "/usr/bin/env", "-S  python3 -u"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct executable executable = parse_text(cases[i].text);

		cr_expect_eq(executable.kind, EXECUTABLE_SCRIPT);
		cr_expect_str_eq(executable.interpreter, cases[i].interpreter);
		cr_expect_str_eq(executable.argument, cases[i].argument);
	}
}

Test(executable, a_script_line_without_an_interpreter_or_too_long_is_refused)
{
	char text[400];

	assert_refused("#!", 2);
	assert_refused("#! \t \n", 6);
	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	assert_refused(text, sizeof(text));
}

Test(executable, anything_else_is_left_to_the_shell)
{
	cr_assert_eq(parse_text("").kind, EXECUTABLE_OTHER);
	cr_assert_eq(parse_text("#").kind, EXECUTABLE_OTHER);
	cr_assert_eq(parse_text("echo hello\n").kind, EXECUTABLE_OTHER);
	cr_assert_eq(parse_text("\177EL").kind, EXECUTABLE_OTHER);
}
