<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use ReflectionClass;
use ReflectionFunctionAbstract;
use ReflectionParameter;

/** Describes classes as plain arrays, equal for an extension and its stub file. Also loaded without the autoloader. */
final class ApiDescription
{
    /**
     * @param iterable<ReflectionClass> $classes
     * @return array<string, array<string, mixed>>
     */
    public static function of(iterable $classes): array
    {
        $described = [];
        foreach ($classes as $class) {
            $described[$class->getName()] = self::class($class);
        }
        ksort($described);

        return $described;
    }

    /** @return array<string, mixed> */
    private static function class(ReflectionClass $class): array
    {
        $interfaces = $class->getInterfaceNames();
        sort($interfaces);
        $methods = $properties = $constants = [];
        foreach ($class->getMethods() as $method) {
            if ($method->getDeclaringClass()->getName() === $class->getName()) {
                $methods[$method->getName()] = implode(' ', \Reflection::getModifierNames($method->getModifiers()))
                    . ' ' . self::signature($method);
            }
        }
        foreach ($class->getProperties() as $property) {
            if ($property->getDeclaringClass()->getName() === $class->getName() && !$property->isPrivate()) {
                $properties[$property->getName()] = implode(' ', \Reflection::getModifierNames($property->getModifiers()))
                    . ' ' . $property->getType();
            }
        }
        foreach ($class->getReflectionConstants() as $constant) {
            if ($constant->getDeclaringClass()->getName() === $class->getName()) {
                $constants[$constant->getName()] = var_export($constant->getValue(), true);
            }
        }
        ksort($methods);
        ksort($properties);
        ksort($constants);

        return [
            'kind' => $class->isInterface() ? 'interface' : ($class->isEnum() ? 'enum' : 'class'),
            'final' => $class->isFinal(),
            'abstract' => $class->isAbstract() && !$class->isInterface(),
            'parent' => ($class->getParentClass() ?: null)?->getName(),
            'interfaces' => $interfaces,
            'constants' => $constants,
            'properties' => $properties,
            'methods' => $methods,
        ];
    }

    public static function signature(ReflectionFunctionAbstract $function): string
    {
        $return = $function->getReturnType() ?? $function->getTentativeReturnType();

        return ($function->returnsReference() ? '&' : '') . $function->getName()
            . '(' . implode(', ', array_map([self::class, 'parameter'], $function->getParameters())) . ')'
            . ($return === null ? '' : ': ' . self::type($return));
    }

    private static function parameter(ReflectionParameter $parameter): string
    {
        $text = '';
        foreach ($parameter->getAttributes() as $attribute) {
            $text .= "#[{$attribute->getName()}] ";
        }
        if ($parameter->getType() !== null) {
            $text .= self::type($parameter->getType()) . ' ';
        }
        $text .= ($parameter->isPassedByReference() ? '&' : '') . ($parameter->isVariadic() ? '...' : '') . '$' . $parameter->getName();
        if ($parameter->isDefaultValueAvailable()) {
            $text .= ' = ' . preg_replace('/\s+/', '', var_export($parameter->getDefaultValue(), true));
        } elseif ($parameter->isOptional() && !$parameter->isVariadic()) {
            $text .= ' = (unknown)';
        }

        return $text;
    }

    /** The parts of a type in a fixed order, because reflection orders those of an extension differently. */
    private static function type(\ReflectionType $type): string
    {
        $text = (string) $type;
        if ($type instanceof \ReflectionNamedType && $type->allowsNull() && !in_array($type->getName(), ['null', 'mixed'], true)) {
            $text = $type->getName() . '|null';
        }
        $parts = explode('|', $text);
        sort($parts);

        return implode('|', $parts);
    }
}
